// Package qemu fetches QEMU's user-mode emulator and does not install it: the
// package's own installation would register it with the kernel, which from then
// on runs foreign programs everywhere on the machine. A program is run by naming
// it behind the emulator.
package qemu
