# The ways to build, run and test shiren. `make run` is all that a newcomer needs.
#
#   make run [ARGS="--tls self-signed"]   install what is missing, fetch, build, serve a demo
#   make test                             everything that must hold, ending with counts
#   make build                            bin/shiren
#   make models | web                     the parts
#   make bench                            the figures of docs/BENCHMARKS.md, on this machine
#   make fmt | clean
#
# A target is rebuilt only when what it is made of has changed, so that a second
# `make run` needs no network and starts at once.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.PHONY: run test build models models-test web tools bench fmt clean setup setup-test
.DEFAULT_GOAL := build

ARGS ?=
models_dir := data/models
version := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Version control is asked above, not by go build, which fails where git distrusts the folder's owner.
go_build := go build -buildvcs=false -ldflags "-X main.version=$(version)"

prune := -path ./web/node_modules -prune -o -path ./e2e/client/node_modules -prune -o -path ./e2e/smclient/node_modules -prune -o -path ./bin -prune -o -path ./data -prune -o -path ./tools -prune -o
go_sources := $(shell find . $(prune) -type f \( -name '*.go' -not -name '*_test.go' -o -name '*.sql' -o -path './internal/*.json' -o -path './internal/*.html' -o -path './cmd/*.html' \) -print)
web_sources := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -not -name '*.go' -not -name '*.md' -print)
pages := web/dist/capture/index.html web/dist/console/index.html

run: setup bin/shiren $(models_dir)/.fetched
	@exec bin/shiren serve $(ARGS)

test:
	@scripts/test.sh

build: setup bin/shiren

setup:
	@scripts/setup.sh build

setup-test:
	@scripts/setup.sh test

bin/shiren: go.mod go.sum $(go_sources) $(pages) | setup
	@echo "building bin/shiren"
	@$(go_build) -o $@ ./cmd/shiren
	@touch $@

web: $(pages)

# One build writes both.
$(pages) &: web/node_modules/.package-lock.json $(web_sources) | setup
	@echo "building the pages"
	@npm run --silent --prefix web build
	@touch $(pages)

# npm writes this file last; it is as old as the installation.
%/node_modules/.package-lock.json: %/package-lock.json | setup
	@echo "installing the packages of $*"
	@npm ci --loglevel=error --no-fund --no-audit --prefix $*
	@touch $@

models: $(models_dir)/.fetched

# The server checks sizes when it opens the models, and hashes on `shiren models verify`.
$(models_dir)/.fetched: internal/engine/models/manifest.json | bin/shiren
	@bin/shiren models fetch --dir $(models_dir)
	@touch $@

models-test: $(models_dir)/.fetched-test

$(models_dir)/.fetched-test: internal/engine/models/manifest.json | bin/shiren
	@bin/shiren models fetch --dir $(models_dir) --group runtime,face,card,test
	@touch $@ $(models_dir)/.fetched

tools: bin/tools/.built

bin/tools/.built: tools/go.mod tools/go.sum | setup
	@echo "building the linters"
	@mkdir -p bin/tools
	@go build -C tools -o ../bin/tools/ tool
	@touch $@

bench: setup bin/shiren models-test
	@scripts/bench.sh

fmt: bin/tools/.built web/node_modules/.package-lock.json
	@git ls-files --cached --others --exclude-standard '*.go' | xargs bin/tools/gofumpt -w
	@npm run --silent --prefix web format >/dev/null

clean:
	rm -rf bin web/node_modules e2e/client/node_modules e2e/smclient/node_modules
	find web/dist -mindepth 1 -not -name README.md -delete
