"""Prepares what a deployment starts from: Airflow's database, the pool `gpu`, a first login, the bucket.

It can be repeated: what is there already stays as it is. Airflow's own commands run in this process, so that
the password stands on no command line.
"""

import contextlib
import os
import sys
from urllib.parse import urlsplit

import boto3
from airflow import configuration  # noqa: F401 - first, as Airflow's own main does
from airflow.cli import cli_parser
from botocore.config import Config


def airflow(*words: str) -> None:
    args = cli_parser.get_parser().parse_args(words)
    args.func(args)


def make_bucket(lake: str, endpoint: str) -> None:
    """The lake's bucket, on a store of our own; on AWS whoever owns the account makes it."""
    place = urlsplit(lake)
    if place.scheme != "s3" or not endpoint:
        return
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=os.environ.get("NIGHTSHELF_S3_REGION") or "us-east-1",
        aws_access_key_id=os.environ["NIGHTSHELF_S3_ACCESS_KEY"],
        aws_secret_access_key=os.environ["NIGHTSHELF_S3_SECRET_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
    with contextlib.suppress(
        client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists
    ):
        client.create_bucket(Bucket=place.netloc)


def main() -> None:
    airflow("db", "migrate")
    airflow("pools", "set", "gpu", os.environ.get("GPU_SLOTS") or "1", "Steps that use a GPU")
    login = os.environ.get("ADMIN_USER") or "admin"
    person = ["--firstname", login, "--lastname", "-", "--email", f"{login}@localhost", "--role", "Admin"]
    airflow("users", "create", "--username", login, *person, "--password", os.environ["ADMIN_PASSWORD"])
    make_bucket(os.environ["NIGHTSHELF_LAKE"], os.environ.get("NIGHTSHELF_S3_ENDPOINT", ""))
    print("ready: database, pool gpu, login, bucket")


if __name__ == "__main__":
    sys.exit(main())
