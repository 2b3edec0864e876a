// Package workflows renders the GitHub Actions workflows of the gateway's own
// repository, and the scripts that they run.
//
// Everything here is a pure function of [Inputs]: Render returns files, and who
// calls it decides where they go. The templates are valid YAML themselves, so
// that editors and Dependabot read them as the workflows that they become;
// placeholders are written << .Name >>, which leaves GitHub's own ${{ … }} alone.
//
// The jobs of pr-gates.yml and the status checks that the default branch
// requires are one list, [Gates]. A template that has no job for a gate, or a
// job for no gate, does not render.
package workflows
