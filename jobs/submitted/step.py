"""What `spark-submit` starts: the command line; its step joins the application that was submitted."""

from jobs.cli import main

main()
