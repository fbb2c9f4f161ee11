"""Servers on this machine that speak as Amazon's and Google's stores do."""

import contextlib
import http
from collections.abc import Callable, Iterator
from unittest import mock

BUCKET = "bucket"


@contextlib.contextmanager
def amazon() -> Iterator[dict[str, str]]:
    """Yields the environment in which clients of S3 find moto's server."""
    import boto3
    from moto import server

    made = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    try:
        host, port = made.get_host_and_port()
        keys = {
            "aws_access_key_id": "any",
            "aws_secret_access_key": "any",
            "region_name": "us-east-1",
        }
        url = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=BUCKET)
        yield {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        made.stop()


@contextlib.contextmanager
def google() -> Iterator[dict[str, str]]:
    """Yields the environment in which gcsfs finds an emulator."""
    from gcp_storage_emulator import server

    made = server.create_server("localhost", 0, in_memory=True, default_bucket=BUCKET)
    with _exclusive():
        made.start()
        try:
            assert made._api._httpd is not None
            port = made._api._httpd.server_port
            yield {"STORAGE_EMULATOR_HOST": f"http://localhost:{port}"}
        finally:
            made.stop()


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    """Teaches the emulator what Google's store does with `ifGenerationMatch=0`."""
    from gcp_storage_emulator import exceptions
    from gcp_storage_emulator.handlers import objects

    upload: Callable = objects._multipart_upload

    def exclusive(request, response, storage):
        if request.query.get("ifGenerationMatch") == ["0"]:
            name = request.data["meta"]["name"]
            with contextlib.suppress(exceptions.NotFound):
                storage.get_file_obj(request.params["bucket_name"], name)
                response.status = http.HTTPStatus.PRECONDITION_FAILED
                return
        upload(request, response, storage)

    with mock.patch.object(objects, "_multipart_upload", exclusive):
        yield
