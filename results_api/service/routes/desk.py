"""The desk: jobs are handed in, watched and looked through by people."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from results_api.access import own_job
from results_api.api_keys import Caller
from results_api.cursors import decode_cursor
from results_api.report.page import render as render_report
from results_api.report.report import make_report
from results_api.service.dependencies import JobId, RequireRead, ServicesDep
from results_api.service.pages.desk import classes_part, job_page, jobs_page, report_page, standing_part
from results_api.service.pages.grid import given_in, look_through
from results_api.service.pages.route import PageRoute
from results_api.service.services import Services

routes = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)

_JOBS = 20
#: Classes of the page's histogram, and rows of the report's lists.
_CLASSES, _TOP = 8, 20


@routes.get("")
async def jobs(
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show jobs, the newest first, and take new ones."""
    before = decode_cursor(cursor, 1)[0] if cursor else None
    # One more than fits tells whether there are older ones.
    found = await asyncio.to_thread(services.job_statuses.newest, caller, before, _JOBS + 1)
    return jobs_page(request, caller, found[:_JOBS], cursor, len(found) > _JOBS)


@routes.get("/{job_id}")
async def job(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show how a job stands, and the results that the query asks for."""
    status = await services.job_statuses.of(caller, job_id)
    grid = await run_in_threadpool(look_through, services.store, job_id, given_in(request))
    return job_page(request, caller, status, grid)


@routes.get("/{job_id}/standing")
async def standing(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show how a job stands, as a part of its page."""
    return standing_part(request, caller, await services.job_statuses.of(caller, job_id))


@routes.get("/{job_id}/classes")
async def classes(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show of which classes a job's images are, as a part of its page.

    All labels are counted for it, so that it is not a part of what the page itself waits for.
    """
    async with services.summaries:
        return await run_in_threadpool(_counted, request, services, caller, job_id)


def _counted(request: Request, services: Services, caller: Caller, job_id: int) -> Response:
    job = own_job(services.store, caller, job_id)
    counts = services.store.summaries.class_counts(job.id, _CLASSES)
    return classes_part(request, job.id, counts, services.store.models.get(job.model_id))


@routes.get("/{job_id}/report")
async def report(job_id: JobId, services: ServicesDep, caller: RequireRead) -> Response:
    """Show the report of a job, as `smartsight report` writes it."""
    async with services.summaries:
        return await run_in_threadpool(_reported, services, caller, job_id)


def _reported(services: Services, caller: Caller, job_id: int) -> Response:
    job = own_job(services.store, caller, job_id)
    summary = services.store.summaries.get(job.id, services.settings.host_delay, _TOP)
    return report_page(render_report(make_report(summary, services.store.models.get(job.model_id))))
