"""One job as panels show it, and the form for one by hand."""
