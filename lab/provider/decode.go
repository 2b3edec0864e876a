package provider

import (
	"fmt"

	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/mapper"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// Decode fills a struct by its pulumi tags, such as the SDK's plain types
// (remote.Connection). What m lacks keeps its value, what target lacks is left
// out. Values must be known, and asset-free.
func Decode(m property.Map, target any) error {
	plainMap := presource.ToResourcePropertyMap(plain(m)).Mappable()
	if err := mapper.MapI(plainMap, target); err != nil {
		return fmt.Errorf("decoding into %T: %w", target, err)
	}
	return nil
}
