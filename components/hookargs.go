package components

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/clawft/infra/internal/shell"
)

// targetOf reads the connection of a remote command out of a hook's argument. It
// is empty where there is none.
func targetOf(inputs resource.PropertyMap) shell.Target {
	value := bare(inputs["connection"])
	if !value.IsObject() {
		return shell.Target{}
	}
	connection := value.ObjectValue()
	target := shell.Target{
		Host:       plainText(connection["host"]),
		Port:       defaultPort,
		User:       plainText(connection["user"]),
		PrivateKey: plainText(connection["privateKey"]),
		HostKey:    plainText(connection["hostKey"]),
	}
	if port := bare(connection["port"]); port.IsNumber() {
		target.Port = int(port.NumberValue())
	}
	return target
}

// plainText reads a text out of a hook's argument; it is empty for anything else.
func plainText(value resource.PropertyValue) string {
	if value = bare(value); value.IsString() {
		return value.StringValue()
	}
	return ""
}

// bare is a value without what says that it is secret or comes from elsewhere.
func bare(value resource.PropertyValue) resource.PropertyValue {
	for {
		switch {
		case value.IsSecret():
			value = value.SecretValue().Element
		case value.IsOutput():
			value = value.OutputValue().Element
		default:
			return value
		}
	}
}
