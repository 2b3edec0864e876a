module github.com/clawft/infra/lab

go 1.26.0

replace github.com/clawft/infra => ../

require github.com/clawft/infra v0.0.0
