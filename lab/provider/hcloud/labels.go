package hcloud

import (
	"context"
	"fmt"
	"regexp"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// A label's key may have a prefix of up to 253 characters and a slash; what
// follows, and a value, has up to 63 and starts and ends with a letter or a
// digit. A value may be empty.
var (
	labelKey   = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9._-]{0,251}[a-zA-Z0-9])?/)?[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)
	labelValue = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?$`)
)

// checkLabels is the only check that the SSH key has.
func checkLabels(_ context.Context, inputs property.Map) []p.CheckFailure {
	var failures []p.CheckFailure
	if v := inputs.Get("labels"); v.IsMap() {
		for key, value := range v.AsMap().AllStable {
			if !labelKey.MatchString(key) {
				failures = append(failures, p.CheckFailure{Property: "labels", Reason: fmt.Sprintf("label key '%s' is not correctly formatted", key)})
			}
			if value.IsString() && !labelValue.MatchString(value.AsString()) {
				failures = append(failures, p.CheckFailure{Property: "labels", Reason: fmt.Sprintf("label value '%s' (key: %s) is not correctly formatted", value.AsString(), key)})
			}
		}
	}
	return failures
}
