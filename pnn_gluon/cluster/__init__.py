"""One network trained by many processes, on one machine or many, through MXNet's parameter server."""
