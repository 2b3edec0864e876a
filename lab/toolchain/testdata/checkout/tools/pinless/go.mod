module example.com/tools/pinless

go 1.26.0

tool example.com/greeting/cmd/hello

require example.com/greet v1.0.0
