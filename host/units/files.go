package units

import (
	"embed"
	"path"
)

// Directory is where our units lie on a host.
const Directory = "/etc/systemd/system"

//go:embed *.service
var files embed.FS

// File is a unit as it is installed.
type File struct {
	// Path is absolute.
	Path    string
	Content []byte
}

// Files returns every unit, sorted by name.
func Files() []File {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // it is in the program
	}
	var all []File
	for _, entry := range entries {
		content, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		all = append(all, File{Path: path.Join(Directory, entry.Name()), Content: content})
	}
	return all
}
