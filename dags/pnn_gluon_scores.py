"""The score server's URI for the task that publishes: never rendered, and masked in logs in every spelling."""

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException
from airflow.sdk.log import mask_secret

from pnn_gluon.secrets_masking import secret_forms


def scores_uri(connection_id: str) -> dict[str, str]:
    """The variable in which the job gets the URI of an Airflow connection.

    Airflow masks the password as it was typed; the URI holds it percent-encoded, and errors quote parts of it.

    Raises:
        AirflowFailException: when there is no such connection.
    """
    try:
        uri = str(Connection.get(connection_id).get_uri())
    except AirflowNotFoundException as error:
        raise AirflowFailException(
            f"publish.server names the Airflow connection {connection_id}, which does not exist: add it or name another"
        ) from error
    for form in secret_forms(uri):
        mask_secret(form)
    return {"PNN_GLUON_SCORES_URI": uri}
