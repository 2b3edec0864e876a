// Package proof holds what has to be true of an image before it is published or
// deployed. Each proof is a type whose fields are its JSON document and whose
// Run returns what was found, in a line without secrets, or what is wrong.
package proof
