#!/bin/sh
# Builds, pushes and lists the parts of our images. make images, make push and make sbom call it.
#
#   images.sh build|push|sbom
#
# VERSION   tag beside `latest`; what git describes by default
# REGISTRY  where to, such as registry.example.com/team; none keeps the names local
# ENGINE    docker (default) or podman
# EXTRAS    "--extra aws" or "--extra vault", for settings from there
# CA_BUNDLE certificate authorities of a proxy that opens TLS, a PEM file
# BUILD_OPTIONS  more options of `docker build`
set -eu

cd "$(dirname "$0")/../.."
images="gateway orchestrator executor knowledge migrate backup"
engine=${ENGINE:-docker}
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
registry=${REGISTRY:+${REGISTRY%/}/}

refuse() {
  echo "$1" >&2
  exit 2
}

check_version() {
  case $version in
    '' | [.-]* | *[!A-Za-z0-9_.-]*)
      refuse "VERSION=$version is no image tag: use letters, digits, dots, dashes and underscores, such as 1.4.0" ;;
  esac
}

check_engine() {
  command -v "$engine" >/dev/null 2>&1 ||
    refuse "There is no $engine on this machine: install Docker or Podman, or name yours with ENGINE=podman"
  "$engine" info >/dev/null 2>&1 ||
    refuse "$engine does not answer: start its service, or see what '$engine info' says"
}

dockerfile_of() {
  case $1 in
    migrate | backup) echo "deploy/$1/Dockerfile" ;;
    *) echo "services/$1/Dockerfile" ;;
  esac
}

packages_of() {
  case $1 in
    migrate) echo "${EXTRAS:-} --package kwe-common --package kwe-orchestrator --package kwe-knowledge --package kwe-sdk" ;;
    backup) echo "--extra s3 --package kwe-common --package kwe-sdk" ;;
    *) echo "${EXTRAS:-} --package kwe-common --package kwe-$1 --package kwe-sdk" ;;
  esac
}

build() {
  check_engine
  for image in $images; do
    echo "building ${registry}kwe-$image:$version"
    # shellcheck disable=SC2086  # several options in one variable
    DOCKER_BUILDKIT=1 "$engine" build ${BUILD_OPTIONS:-} \
      ${CA_BUNDLE:+--secret "id=ca-bundle,src=$CA_BUNDLE"} \
      --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
      ${EXTRAS:+--build-arg "EXTRAS=$EXTRAS"} \
      --file "$(dockerfile_of "$image")" \
      --tag "${registry}kwe-$image:$version" --tag "${registry}kwe-$image:latest" .
  done
}

push() {
  [ -n "$registry" ] || refuse "REGISTRY is not set: make push VERSION=$version REGISTRY=registry.example.com/team"
  check_engine
  for image in $images; do
    "$engine" image inspect "${registry}kwe-$image:$version" >/dev/null 2>&1 ||
      refuse "${registry}kwe-$image:$version is not built: make images VERSION=$version REGISTRY=$REGISTRY"
  done
  for image in $images; do
    "$engine" push "${registry}kwe-$image:$version"
    "$engine" push "${registry}kwe-$image:latest"
  done
}

# From the lock, which is what the images install: the same answer with and without an engine.
sbom() {
  mkdir -p dist/sbom
  for image in $images; do
    # shellcheck disable=SC2046  # several options
    "${UV:-uv}" export --quiet --locked --no-dev --no-header --preview-features sbom-export \
      --format cyclonedx1.5 $(packages_of "$image") --output-file "dist/sbom/kwe-$image-$version.cdx.json"
    echo "dist/sbom/kwe-$image-$version.cdx.json"
  done
}

check_version
case ${1:-} in
  build) build ;;
  push) push ;;
  sbom) sbom ;;
  *) refuse "usage: images.sh build|push|sbom" ;;
esac
