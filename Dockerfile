# The Challenge's image, as the organizers build it: docker build -t image .
#
# The stock torch runs on CPU and GPU and brings the CUDA libraries (about 6 GB). Smaller, or for an
# older driver, with torch from an index of its own:
#   docker build --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu -t image .
#   docker build --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cu126 -t image .
ARG BASE_IMAGE=python:3.11.13-slim-bookworm
FROM ${BASE_IMAGE}

# Before the code, so that a change of the code does not install everything again.
ARG TORCH_INDEX_URL=""
COPY requirements.txt /opt/requirements.txt
RUN if [ -n "${TORCH_INDEX_URL}" ] \
       && grep -E '^torch(vision)?==' /opt/requirements.txt > /opt/torch.txt; then \
      pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX_URL}" -r /opt/torch.txt; \
    fi \
    && pip install --no-cache-dir -r /opt/requirements.txt

# The organizers' three lines: do not change them.
RUN mkdir /challenge
COPY ./ /challenge
WORKDIR /challenge

# Trained weights come from elsewhere only when asked; there is no network when the image runs.
ARG WEIGHTS_URL=""
ARG WEIGHTS_SHA256=""
RUN if [ -n "${WEIGHTS_URL}" ]; then \
      python -m cinc_ecg.challenge.fetch "${WEIGHTS_URL}" "${WEIGHTS_SHA256}" model; \
    fi \
    && mkdir -p .cache/tmp \
    && chmod -R a+rX . \
    && chmod -R 1777 .cache

# Caches below /challenge, for root and for any other user; what a GPU needs when there is one.
ENV HOME=/challenge/.cache \
    TMPDIR=/challenge/.cache/tmp \
    XDG_CACHE_HOME=/challenge/.cache \
    MPLCONFIGDIR=/challenge/.cache/matplotlib \
    TORCH_HOME=/challenge/.cache/torch \
    HF_HOME=/challenge/.cache/huggingface \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Published weights of backbones to train from, fetched only when asked:
#   docker build --build-arg BACKBONES="timm:convnextv2_nano hf:microsoft/resnet-18" -t image .
ARG BACKBONES=""
RUN for name in ${BACKBONES}; do python -m cinc_ecg backbones fetch "${name}" || exit 1; done
