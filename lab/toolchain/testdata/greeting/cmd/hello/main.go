package main

var version string

func main() { print("hello ", version) }
