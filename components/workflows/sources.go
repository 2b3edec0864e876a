package workflows

import (
	"embed"
	"io/fs"
)

//go:embed *.yml gates
var sources embed.FS

// Sources are the files of the checkout that everything here is rendered from.
func Sources() fs.FS { return sources }
