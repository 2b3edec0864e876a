module example.com/tools/broken

go 1.26.0

tool example.com/greeting/cmd/broken

require (
	example.com/greet v1.0.0
	example.com/greeting v1.2.3
)

replace (
	example.com/greet => ../../../greet
	example.com/greeting => ../../../greeting
)
