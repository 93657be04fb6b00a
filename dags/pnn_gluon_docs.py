"""What Airflow shows under *Docs*: of a DAG, and of a task, made from what its step declares."""

from pnn_gluon.config import Config
from pnn_gluon.pipeline.step import Step
from pnn_gluon.pools import pools_of

GROUPS = {
    "data": "From raw logs to encoded rows.",
    "model": "From encoded rows to the model in force.",
    "scores": "From the model in force to scores for the next day.",
}
"""By group of steps what they do together."""


def documented(text: str, config: Config, pool: str | None = None) -> str:
    """What a DAG does, and what to do when its pool is missing, of which Airflow itself says little."""
    pool = pool or config.name
    return (
        f"{text}\nConfiguration: `{config.path}`. Its pool is `{pool}`. Without it tasks stay *scheduled* "
        "for ever, and the details of a task say why: make it under *Admin*, *Pools*, or by "
        f"`airflow pools set {pool} {pools_of(config)[pool]} pnn_gluon`."
    )


def step_doc(step: Step, config: Config) -> str:
    """What a step reads and writes, what to do when it fails, and the command that runs it by hand."""
    lines = {
        "Reads": step.reads or "nothing",
        "Writes": f"`{step.table.name}`: {step.table.holds}",
        "When it fails": step.mend.replace("<name>", config.name),
        "By hand": f"`pnn-gluon step {step.name} --config {config.path} --day D`",
    }
    return "\n".join([step.does, "", *(f"- **{name}:** {text}" for name, text in lines.items())])


def arrival_doc(kind: str, config: Config) -> str:
    """What a task that waits for raw files looks for, and until when."""
    pattern = getattr(config.source, kind)
    return (
        f"Waits, without a slot, until the {kind} have come by the rules of `[arrival]`.\n\n"
        f"- **Reads:** `{pattern}`\n"
        f"- **When it fails:** they have not come {config.arrival.patience_hours:g} hours after the end of the day: "
        "bring them and clear the task, or declare the outage (`pnn-gluon skip-day`)\n"
        f"- **By hand:** `pnn-gluon arrived {kind} --config {config.path} --day D`"
    )


def approval_doc(config: Config) -> str:
    """Whom the task asks, what about, and what becomes of the answer."""
    who = ", ".join(config.approval.approvers) or "whoever may start runs"
    return (
        "Asks a person whether the candidate may be promoted, where the gate says that one is to be asked.\n\n"
        f"- **Who answers:** {who}, under *Required Actions*; after {config.approval.hours:g} hours without an answer "
        "the model in force stays. Scores go out in every case\n"
        "- **When it is skipped:** nobody could be asked, or the answer does not count, and its log says why: clear it "
        "to be asked again\n"
        f"- **By hand:** `pnn-gluon approve --config {config.path} --day D --reason ...`, with `--reject` if not"
    )


def tracking_doc(config: Config) -> str:
    """Whom the task tells of the day, and what becomes of the day where they are away."""
    to = {"MLflow": config.tracking.mlflow, "OpenLineage": config.tracking.openlineage}
    who = ", ".join(f"{name} (`{where}`)" for name, where in to.items() if where)
    return (
        f"Tells {who} of the day, once all else has ended, well or not. It changes nothing that is stored.\n\n"
        "- **Reads:** `manifests`, and what of the days before could not be told\n"
        "- **When it fails:** the run ends as without it. One that is away is a warning in the log, and told the next "
        "time; else the message says what is missing\n"
        f"- **By hand:** `pnn-gluon track --config {config.path} --day D`"
    )
