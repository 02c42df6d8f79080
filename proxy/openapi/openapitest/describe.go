package openapitest

import (
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// describe turns an error of the JSON Schema library into one line for each
// fault, with the place of the value. Of a oneOf whose forms a constant `type`
// tells apart it names only the faults of the form that was meant: those of the
// nineteen other actions would hide them.
func describe(err error) error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	return errors.New(strings.Join(leaves(invalid), "; "))
}

// leaves lists the innermost causes of a validation error.
func leaves(err *jsonschema.ValidationError) []string {
	causes := err.Causes
	if _, ok := err.ErrorKind.(*kind.OneOf); ok {
		for _, cause := range causes {
			if !otherType(cause) {
				causes = []*jsonschema.ValidationError{cause}
				break
			}
		}
	}
	if len(causes) == 0 || len(causes) > 1 && isOneOf(err) {
		text := err.ErrorKind.LocalizedString(message.NewPrinter(language.English))
		return []string{"/" + strings.Join(err.InstanceLocation, "/") + ": " + text}
	}
	var found []string
	for _, cause := range causes {
		found = append(found, leaves(cause)...)
	}
	return found
}

// isOneOf tells whether a value matched none, or several, of the forms of a
// oneOf.
func isOneOf(err *jsonschema.ValidationError) bool {
	_, ok := err.ErrorKind.(*kind.OneOf)
	return ok
}

// otherType tells whether a value failed because its property `type` is not the
// constant that the schema asks for.
func otherType(err *jsonschema.ValidationError) bool {
	if _, ok := err.ErrorKind.(*kind.Const); ok {
		at := err.InstanceLocation
		return len(at) > 0 && at[len(at)-1] == "type"
	}
	for _, cause := range err.Causes {
		if otherType(cause) {
			return true
		}
	}
	return false
}
