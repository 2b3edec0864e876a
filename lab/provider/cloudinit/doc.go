// Package cloudinit stands in for the pulumi-cloudinit plugin, version 1.6: the
// function that joins parts of user-data into one MIME document.
package cloudinit
