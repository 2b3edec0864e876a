// Package engine makes sure that a Docker engine runs and that the Debian
// packages which the lab and the checks need are installed.
//
// What is there stays as it is: a running engine is used as it runs, a program
// that came by another way than a Debian package is not installed again, and no
// package is ever removed. Only what is missing is installed, as root on Debian
// and its like; elsewhere the error says exactly what to install.
//
// A machine may have systemd as PID 1, in which case it starts the engine that
// the package brings. Without systemd the lab starts the engine in the
// background, and Stop ends it again.
package engine
