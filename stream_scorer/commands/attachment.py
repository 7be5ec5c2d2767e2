"""stream-scorer attachment"""

from __future__ import annotations

import argparse
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client.fleet_client import quoted
from stream_scorer.modelop.client.items import add_trust_flags, done, read_bytes, trust_of, verb
from stream_scorer.modelop.client.models import attachment_type
from stream_scorer.modelop.client.options import fleet_of, vendor_style
from stream_scorer.modelop.client.show import print_json, print_names, print_table

prepare = vendor_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="upload|list|download|remove")
    upload = verb(verbs, "upload", "add or replace an archive of a model's files")
    upload.add_argument("model", metavar="MODEL")
    upload.add_argument("file", metavar="FILE", type=Path, help="the archive: .zip, .tar.gz or .tgz")
    add_trust_flags(upload)
    verb(
        verbs, "list", "list the names of a model's attachments; with -v also types and sizes", machine=True
    ).add_argument("model", metavar="MODEL")
    for name, text in (("download", "write an attachment to a file"), ("remove", "remove an attachment")):
        parser_of_verb = verb(verbs, name, text)
        parser_of_verb.add_argument("model", metavar="MODEL")
        parser_of_verb.add_argument("name", metavar="NAME")
        if name == "download":
            parser_of_verb.add_argument(
                "--out", type=Path, metavar="FILE", help="file to write (default: NAME, in the current directory)"
            )


def run(args: argparse.Namespace) -> int:
    manage = fleet_of(args).model_manage()
    path = f"/1/model/{quoted(args.model)}/attachment"
    if args.verb == "list":
        names = manage.get(path, subject=f"attachments of {args.model!r}")
        if not args.verbose:
            print_names(names, args.json)
            return 0
        rows = []
        for name in names:
            headers = manage.call("HEAD", f"{path}/{quoted(name)}", subject=f"attachment {name!r}").headers
            rows.append({"name": name, "type": headers.get("content-type"), "size": int(headers["content-length"])})
        if args.json:
            print_json(rows)
        else:
            print_table(["Name", "Type", "Size"], [[*row.values()] for row in rows])
        return 0
    name = args.file.name if args.verb == "upload" else args.name
    path, subject = f"{path}/{quoted(name)}", f"attachment {name!r} of {args.model!r}"
    if args.verb == "upload":
        headers = {"Content-Type": attachment_type(name)}
        answer = manage.call("PUT", path, read_bytes(args.file, trust_of(args)), subject=subject, headers=headers)
        done(args, f"{subject} {'added' if answer.status == 201 else 'replaced'}")
    elif args.verb == "remove":
        manage.call("DELETE", path, subject=subject)
        done(args, f"{subject} removed")
    else:
        out = args.out or Path(Path(name).name)
        data = manage.call("GET", path, subject=subject).body
        try:
            out.write_bytes(data)
        except OSError as error:
            raise SettingsError(f"{out}: cannot be written ({error.strerror}).") from error
        done(args, f"{subject} is in {out}")
    return 0
