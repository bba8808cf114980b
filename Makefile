# The whole house from two commands: `make book` and `make test`. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:

PYTHONS := 3.11 3.12 3.13
PYTHON ?= $(shell command -v $(PYTHONS:%=python%) python3 | head -n 1)
VENV := .venv
BIN := $(VENV)/bin
BOOK := _build/html/index.html
export CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

# Runs and pages are real files, so make repeats only what changed. What a run is made from, and
# what the book is made from beside that: its pages with their kit, and all results; of these the
# folders, too, so that one that was deleted counts.
LIB := $(shell find lib ci/engine -name '*.py')
PAGES := _config.yml $(shell find book -type f -not -path '*/.*' -not -name '*.pyc' \
  -not -path 'book/runs/*' -not -path 'book/_vendor/*')
RESULTS := $(shell find results -not -path '*/.draft-*' -not -path '*.unfinished*' \
  -not -name '*.lock' 2>/dev/null)

# The pages that teach: stored with their outputs, which are checked again.
TAUGHT := $(addprefix book/,losses.ipynb decoding.ipynb own_network.ipynb) $(wildcard book/chapters/*.ipynb)

# The tests that train no network and build no page: of every edit.
QUICK := $(wildcard tests/kit/*.py tests/project/*.py) tests/engine/test_grid.py \
  tests/engine/test_provenance.py \
  $(addprefix tests/method/test_,losses.py consistency.py metrics.py soft.py decode.py checks.py)
QUICK := $(filter-out %/test_api.py %/test_wheel.py %/test_light_pages.py,$(QUICK))

HEADLINE := ms-mtl ms-mtl+intra+inter
RUNS := $(HEADLINE:%=book/runs/phantom/quick/%/seed0.ipynb)

# The grid: make tables SOURCE=busbra ROOT=folder PROFILE=laptop SEEDS="0 1 2" [FOLDS="1 2 3 4 5"]
# [TABLES="1 3"] [ONLY="segnet ms-mtl"] [ON=laptop|paper|slurm|kubernetes] [CORES=n] [DEVICE=cpu]
# [TOGETHER=processes that share one run] [RESULTS_IN=folder]
SOURCE ?= phantom
PROFILE ?= laptop
SEEDS ?= 0
GRID = $(BIN)/python -W ignore ci/grid.py
ASKED = --source '$(SOURCE)' --profile '$(PROFILE)' --seeds '$(SEEDS)' $(if $(ROOT),--root '$(ROOT)') \
  $(if $(FOLDS),--folds '$(FOLDS)') $(if $(TABLES),--tables '$(TABLES)') $(if $(ONLY),--only '$(ONLY)') $(if $(ON),--on '$(ON)') \
  $(if $(CORES),--cores '$(CORES)') $(if $(THREADS),--threads '$(THREADS)') \
  $(if $(TOGETHER),--together '$(TOGETHER)') $(if $(DEVICE),--device '$(DEVICE)') $(if $(RESULTS_IN),--results '$(RESULTS_IN)')

.PHONY: help book pdf check check-pythons plan tables paper progress test lab clean lint units engine notebooks smoke pages \
  browser lock sbom audit test-engine test-faults test-slurm test-lab

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 18

book: $(BOOK) ## install, run the headline pair on the phantom, build the book
	@echo "The book: $(CURDIR)/$(BOOK)"

pdf: $(BOOK) browser ## the whole book as one file to print: _build/book.pdf
	$(BIN)/python -W ignore ci/pdf.py

plan: $(VENV)/.installed ## which runs of the grid stand, which do not and why, hours and disk
	@$(GRID) plan $(ASKED)

tables: $(VENV)/.installed ## make the runs that do not stand: SOURCE= ROOT= PROFILE= SEEDS="0 1 2"
	@$(GRID) run $(ASKED)

paper: ## the same with the paper's setting, on GPUs
	@$(MAKE) --no-print-directory tables PROFILE=paper

progress: $(VENV)/.installed ## what the runs are doing now
	@$(GRID) progress $(if $(RESULTS_IN),--results '$(RESULTS_IN)')

check: ## lint and the tests that train no network: for every edit
	@$(MAKE) --no-print-directory lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 $(QUICK)

check-pythons: ## make check on each of Python 3.11, 3.12 and 3.13 that is here, installed in .venv-VERSION
	@for v in $(PYTHONS); do \
	  if python$$v -c '' 2>/dev/null; then echo "== Python $$v"; \
	    $(MAKE) --no-print-directory check PYTHON=python$$v VENV=.venv-$$v; \
	  else echo "== Python $$v is not here"; fi; \
	done

test: ## lint, unit tests, notebooks, a smoke run, the engine, the book, its pages in Chromium offline
	@for step in lint units notebooks smoke engine book pages; do \
	  echo "== $$step"; start=$$SECONDS; $(MAKE) --no-print-directory $$step; \
	  echo "== $$step: $$((SECONDS - start)) s"; \
	done

lab: $(VENV)/.installed ## open the pages in JupyterLab
	$(BIN)/jupyter lab --notebook-dir book

clean: ## remove what was built and run here (keeps .venv and downloaded data)
	rm -rf _build book/runs book/_vendor ci/node_modules results/phantom/quick

# ---- installing

# TORCH_FROM=address of an index: torch from there, in the lock's versions, without GPU libraries.
TORCH := ^(torch|torchvision)==
define without_gpu
awk '/^[a-z]/ {gpu = /$(TORCH)|^(nvidia|cuda)-|^triton==/} !gpu' requirements.lock >$(VENV)/requirements.lock
	PIP_INDEX_URL='$(TORCH_FROM)' $(BIN)/python -m pip install --disable-pip-version-check --no-deps \
	  $$(grep -oE '$(TORCH)[^ ]+' requirements.lock)
endef

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in "$(PYTHONS)".split())' || { \
	  echo "'$(PYTHON)' is none of Python $(PYTHONS); name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about 6 GB, some minutes"
	# What the lock names and nothing else, each file with its checksum; then: is that all it needs?
	$(if $(TORCH_FROM),$(without_gpu))
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile \
	  --no-deps --require-hashes -r $(if $(TORCH_FROM),$(VENV)/requirements.lock,requirements.lock) \
	  | { grep -E --line-buffered '^(Downloading|Installing|Building)' || true; }
	$(BIN)/python -m pip check --disable-pip-version-check
	# With every core, where pip would take one; some packages ship files that are no Python.
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat --editable .
	touch $@

lock: $(VENV)/.installed ## pin again what pyproject.toml asks for
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra dicom --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --custom-compile-command 'make lock' --no-emit-index-url --quiet \
	  --output-file requirements.lock

sbom: $(VENV)/.installed ## what it is made of, with licences: _build/sbom.json (CycloneDX), and the page's list
	$(BIN)/python ci/sbom.py

# pip-audit comes into a place of its own. --strict: what could not be asked about is an error, too.
audit: $(VENV)/.installed ## known vulnerabilities of all that is installed; asks over the network
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes -r requirements.lock
	npm audit --prefix ci --package-lock-only

# What the pages need of MathJax: its parts for TeX, and fonts for HTML; half of any whole bundle.
MATHJAX := startup.js core.js input/tex.js output/chtml.js output/chtml/fonts/tex.js \
  output/chtml/fonts/woff-v2 a11y/assistive-mml.js

book/_vendor/.done: ci/package.json ci/package-lock.json ci/runtime.mjs
	npm ci --prefix ci --ignore-scripts --no-audit --no-fund --loglevel error
	rm -rf $(@D) && mkdir -p $(@D)/vendor
	cp ci/node_modules/plotly.js-cartesian-dist-min/plotly-cartesian.min.js $(@D)/vendor/plotly.js
	cp ci/node_modules/plotly.js-cartesian-dist-min/LICENSE $(@D)/vendor/plotly.LICENSE
	cp ci/node_modules/reveal.js/dist/reveal.js ci/node_modules/reveal.js/dist/reveal.css $(@D)/vendor
	cp ci/node_modules/reveal.js/LICENSE $(@D)/vendor/reveal.LICENSE
	for part in $(MATHJAX); do mkdir -p $(@D)/vendor/mathjax/$$(dirname $$part); \
	  cp -R ci/node_modules/mathjax/es5/$$part $(@D)/vendor/mathjax/$$part; done
	cp ci/node_modules/mathjax/LICENSE $(@D)/vendor/mathjax/LICENSE
	mkdir -p $(@D)/ask && node ci/runtime.mjs >$(@D)/ask/runtime.js
	touch $@

# ---- running and building

# make book/runs/SOURCE/PROFILE/EXPERIMENT/[foldM-]seedN.ipynb [ROOT=folder of the data set]
part = $(word $(1),$(subst /, ,$*))
number = $(patsubst $(1)%,%,$(filter $(1)%,$(subst -, ,$(call part,4))))
book/runs/%.ipynb: book/experiment.ipynb $(LIB) requirements.lock | $(VENV)/.installed
	@mkdir -p $(@D)
	$(BIN)/papermill $< $(@:.ipynb=.unfinished.ipynb) --log-output --no-progress-bar --kernel python3 \
	  -p source $(call part,1) $(if $(ROOT),-p root '$(ROOT)') -p profile $(call part,2) \
	  -p experiment $(call part,3) -p seed $(call number,seed) -p fold $(or $(call number,fold),0) \
	  $(if $(filter phantom,$(call part,1)),-p keep True)
	mv $(@:.ipynb=.unfinished.ipynb) $@

# Sphinx begins from nothing each time, which takes half a minute; the outputs of pages that are
# executed for the build are kept by what they have read (book/_extensions/light_pages.py). The
# pages take their place when all are written: a build that was killed leaves the older book, or
# none. The time is that of the beginning, so that what is edited meanwhile is newer.
DRAFT := _build/draft
$(BOOK): $(RUNS) $(PAGES) $(RESULTS) $(LIB) requirements.lock book/_vendor/.done | $(VENV)/.installed
	rm -rf $(DRAFT)
	mkdir -p $(DRAFT)
	touch $(DRAFT)/begun
	$(BIN)/jupyter-book build book --config _config.yml --path-output $(DRAFT) \
	  --all -n -W --keep-going
	touch -r $(DRAFT)/begun $(DRAFT)/$@
	rm -rf _build/html
	mv $(DRAFT)/_build/html _build/html
	rm -rf $(DRAFT)

# ---- testing: the steps of `make test`, each also by itself

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

units: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --durations 10

notebooks: $(VENV)/.installed
	$(BIN)/pytest -q -n 2 --dist loadfile --nbval-lax --nbval-current-env -p no:cacheprovider $(TAUGHT)

smoke: $(VENV)/.installed
	out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	$(BIN)/papermill book/experiment.ipynb "$$out/smoke.ipynb" --no-progress-bar --kernel python3 \
	  -p source phantom -p experiment ms-mtl+intra+inter -p profile smoke -p seed 0 -p results "$$out"; \
	test -s "$$out/phantom/smoke/ms-mtl+intra+inter/seed0.json"

engine: $(VENV)/.installed
	$(BIN)/pytest -q -m engine tests/engine

test-engine: $(VENV)/.installed ## kill the engine and a kernel in mid-epoch, and start two at once
	$(BIN)/pytest -q -s -m campaign tests/engine/test_grid_campaign.py

test-faults: $(VENV)/.installed ## kill -9 at every writing step and 30 random moments, and finish
	$(BIN)/python -W ignore ci/faults.py --steps

test-slurm: $(VENV)/.installed ## the grid on a real Slurm of one node (Debian: slurm-wlm, munge)
	$(BIN)/python ci/slurm_test.py

pages: $(BOOK) browser
	$(BIN)/pytest -q -n 2 -m browser tests/browser

test-lab: $(VENV)/.installed browser ## open JupyterLab in Chromium and move an explorable
	$(BIN)/pytest -q -m lab tests/browser/test_lab.py

browser:
	@test -n "$(CHROMIUM)" || { echo "Chromium is missing: installing Debian's package"; \
	  if [ "$$(id -u)" = 0 ]; then as_root=; else as_root='sudo -n'; fi; \
	  $$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; } || { \
	  echo "Install Chromium by hand, or name one: make test CHROMIUM=/path/to/chromium" >&2; exit 1; }
