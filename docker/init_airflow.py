"""Prepares what a deployment starts from: Airflow's database, the pool of GPUs, a first login, the bucket.

It can be repeated: what is there already stays as it is, a pool with the slots that a person gave it.
Airflow's own commands run in this process, so that the password stands on no command line.
"""

import os
import sys
from urllib.parse import urlsplit

import boto3
from airflow import configuration  # noqa: F401 - first, as Airflow's own main does
from airflow.cli import cli_parser
from botocore.config import Config
from botocore.exceptions import ClientError


def airflow(*words: str) -> None:
    args = cli_parser.get_parser().parse_args(words)
    args.func(args)


def make_pool(name: str, slots: str) -> None:
    try:
        airflow("pools", "get", name)
    except SystemExit:
        airflow("pools", "set", name, slots, "Steps that use a GPU")


def make_bucket(lake: str, endpoint: str) -> None:
    """The lake's bucket, on a store of our own; on AWS whoever owns the account makes it.

    Where there is one nothing is made: keys that may only use it are enough.
    """
    place = urlsplit(lake)
    if place.scheme != "s3" or not endpoint:
        return
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=os.environ.get("NIGHTSHELF_S3_REGION") or "us-east-1",
        aws_access_key_id=os.environ.get("NIGHTSHELF_S3_ACCESS_KEY") or None,
        aws_secret_access_key=os.environ.get("NIGHTSHELF_S3_SECRET_KEY") or None,
        config=Config(s3={"addressing_style": "path"}),
    )
    try:
        client.head_bucket(Bucket=place.netloc)
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        client.create_bucket(Bucket=place.netloc)


def main() -> None:
    airflow("db", "migrate")
    make_pool(os.environ.get("NIGHTSHELF_GPU_POOL") or "gpu", os.environ.get("GPU_SLOTS") or "1")
    login = os.environ.get("ADMIN_USER") or "admin"
    person = ["--firstname", login, "--lastname", "-", "--email", f"{login}@localhost", "--role", "Admin"]
    airflow("users", "create", "--username", login, *person, "--password", os.environ["ADMIN_PASSWORD"])
    make_bucket(os.environ["NIGHTSHELF_LAKE"], os.environ.get("NIGHTSHELF_S3_ENDPOINT", ""))
    print("ready: database, pool, login, bucket")


if __name__ == "__main__":
    sys.exit(main())
