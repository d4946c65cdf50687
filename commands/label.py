"""`smartsight label SOURCE...`: label images on this machine, without servers."""

import hashlib
import os
import time
from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from commands.label_run import LabelRun
from commands.parts import cores, open_decoders, open_store
from commands.progress import summary
from commands.sources import open_sources, reporting, what_was_looked_for
from commands.terminal import ResultLines, quiet_logs, say
from producer.references import ListColumns
from producer.sources import InputSources, read_sources
from producer.submit import Survey, survey
from results_api.exports import STDOUT, RowWriter, check_output, open_output
from shared.classifier.catalogue import open_classifier
from shared.classifier.classifier import Classifier
from shared.classifier.model import Model
from shared.errors import Code, ResourceError, UsageError
from shared.job_status import JobStatus
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image was labelled, else 1."""
    settings = replace(settings, database_url=options.db or settings.database_url)
    if options.output:
        check_output(options.output)
        _protect_inputs(options, settings)
    with open_sources(options.sources, ListColumns(options.column, options.id_column)) as sources:
        found = survey(reporting(read_sources(sources)))
        if not found.references:
            raise ResourceError(Code.NOTHING_TO_LABEL, what_was_looked_for(options.sources))
        with open_decoders(settings) as decoders:
            name = options.model or settings.model
            classifier = open_classifier(settings, name, options.engine, cores(), decoders.decode)
            return _label(options, settings, sources, found, classifier)


def _protect_inputs(options: Namespace, settings: Settings) -> None:
    """Refuse an output that would take the place of a source or of the database."""
    output = os.path.realpath(options.output)
    if output in [os.path.realpath(source) for source in options.sources]:
        raise UsageError(Code.OUTPUT_UNWRITABLE, f"{options.output} is one of the sources")
    if output == os.path.realpath(settings.store_url.removeprefix("sqlite:///")):
        raise UsageError(Code.OUTPUT_UNWRITABLE, f"{options.output} is the database")


def _label(
    options: Namespace, settings: Settings, sources: InputSources, found: Survey, classifier: Classifier
) -> int:
    key = _job_key(found, classifier.model, options.top)
    with open_store(settings) as store:
        # Another command looks for the job in the database of the settings.
        is_found = options.db is None
        job_run = LabelRun(store, classifier, found, options.top, key, options.name, is_found)
        job = _finish(job_run, sources, settings, options.output)
        store.jobs.release_key(job_run.job.id)
    if found.malformed:
        say(f"Malformed lines left out: {found.malformed}.")
    say(f"Stored as job {job_run.job.id} in {store.name}")
    return 0 if job.has_labelled_all and not found.malformed else 1


def _finish(job_run: LabelRun, sources: InputSources, settings: Settings, output: str | None) -> JobStatus:
    """Run a job to its end and print a summary; if interrupted, print its progress."""
    if job_run.done_before:
        say(f"Resuming job {job_run.job.id}: {job_run.progress_now()}.")
    started = time.monotonic()
    quiet_logs()
    try:
        with _writer(output) as writer:
            job = job_run.run(sources, settings, writer)
    except KeyboardInterrupt:
        say(f"Stopped: {job_run.progress_now()}. The same command resumes here.")
        raise
    if job_run.placeholders:
        _correct(job_run, output)
    done_now = job.done - job_run.done_before
    for line in summary(job, done_now, time.monotonic() - started):
        say(line)
    return job


def _correct(job_run: LabelRun, output: str | None) -> None:
    """Print how many images are placeholders, and write the rows of a file again."""
    say(f"{job_run.placeholders} images are placeholders, the same for many URLs of a host: skipped.")
    if output and output != STDOUT:
        job_run.write_again(output)


def _job_key(found: Survey, model: Model, top: int) -> str:
    """Return the job's key: the same command on the same references resumes the same job."""
    parts = (found.digest, _working_folder(), model.name, model.version, top)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed; files named by their full path are still there
        return ""


def _writer(output: str | None) -> AbstractContextManager[RowWriter]:
    return open_output(output) if output else nullcontext(ResultLines())
