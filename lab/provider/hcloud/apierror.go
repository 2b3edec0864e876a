package hcloud

import "fmt"

// apiError is a refusal by the API, written as the real client writes it.
type apiError struct {
	message, code string
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%s)", e.message, e.code) }

func alreadyUsed(what string) error {
	return &apiError{what + " is already used", "uniqueness_error"}
}

func isProtected(what string) error {
	return &apiError{what + " deletion is protected", "protected"}
}

func notFound(what string, id int) error {
	return &apiError{fmt.Sprintf("%s with ID '%d' not found", what, id), "not_found"}
}

// invalid names the API's field, which is in snake case, and what is wrong.
func invalid(field, reason string) error {
	return fmt.Errorf("%w: [%s => [%s]]",
		&apiError{fmt.Sprintf("invalid input in field '%s'", field), "invalid_input"}, field, reason)
}
