"""Whether a day's data are like those of the days before, and like the requests that were scored for the day."""
