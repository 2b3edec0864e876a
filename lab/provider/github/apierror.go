package github

import "fmt"

// apiError is a refusal by the API, written as GitHub's client writes it.
type apiError struct {
	method, path string
	status       int
	message      string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s https://api.github.com%s: %d %s", e.method, e.path, e.status, e.message)
}

func apiPath(owner, repository, rest string) string {
	return "/repos/" + owner + "/" + repository + rest
}

func notFound(method, owner, repository, rest string) error {
	return &apiError{method, apiPath(owner, repository, rest), 404, "Not Found"}
}
