# Needs git, make and Python 3.11 or newer; everything else is made by `make venv`, which the other
# targets call.
.PHONY: venv demo test molecule soak e2e lint bench clean
.NOTPARALLEL:
export ARGS CORE PYTHON

venv demo test molecule soak e2e lint bench clean:
	@sh scripts/make.sh $@
