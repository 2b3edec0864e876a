# Every verb is a Go program that does the set-up it needs; see CONTRIBUTING.md.

.PHONY: help lab test bench bench-image down

help:
	@echo 'make lab          the whole pipeline on this machine, up to healthy gateways'
	@echo 'make down         remove the lab; .lab/cache stays'
	@echo 'make test         every check and test; one phase: go run ./lab/check lint'
	@echo 'make bench        time of up, preview and update in the lab, and the cost per host'
	@echo 'make bench-image  time and size of image builds'

lab:
	go run ./lab up

down:
	go run ./lab down

test:
	go run ./lab/check

bench:
	go run ./lab bench

bench-image:
	go run ./lab bench-image
