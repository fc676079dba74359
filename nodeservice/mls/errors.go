package mls

// Error says which field of a KeyPackage is at fault, and how. Its text tells
// nothing that the sender of the package does not know: it is safe for clients.
type Error struct {
	// Field is the path to the field in RFC 9420's own names, from the
	// KeyPackage down: "cipher_suite", "leaf_node.lifetime".
	Field string

	// Problem completes the sentence that begins with Field.
	Problem string
}

func (e *Error) Error() string {
	return "key package: " + e.Field + " " + e.Problem
}
