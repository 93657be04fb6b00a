"""The pipeline declared once: its tables, its steps, what each reads and depends on, and the state of every day."""
