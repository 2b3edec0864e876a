// Command hello is the whole content of the image that the test pulls.
package main

import "fmt"

func main() { fmt.Println("hello from the inner engine") }
