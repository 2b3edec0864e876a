package components

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

func TestWorkflowsNeverTakeOverAFile(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	for _, recorded := range record.Resources() {
		if recorded.Type != fileType {
			continue
		}
		if recorded.Inputs["overwriteOnCreate"].BoolValue() {
			t.Errorf("%s overwrites what somebody else wrote", recorded.Name)
		}
		if branch := recorded.Inputs["branch"].StringValue(); branch != "main" {
			t.Errorf("%s is written to %s", recorded.Name, branch)
		}
	}
}

func TestImportedResourcesBecomeChildren(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	for _, recorded := range record.Resources() {
		// A secret cannot be imported: nobody can read its value.
		if !recorded.Custom || strings.Contains(recorded.Type, "Secret") {
			continue
		}
		aliases := recorded.Request.GetAliases()
		if len(aliases) != 1 || !aliases[0].GetSpec().GetNoParent() {
			t.Errorf("%s would be created beside an imported one: aliases %v", recorded.Name, aliases)
		}
	}
}

func TestWorkflowsRegisterNothingFromWrongInputs(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	err := record.Run(func(ctx *pulumi.Context) error {
		args := &WorkflowsArgs{Owner: "clawft", Repository: "clawft", Inputs: workflowInputs()}
		args.Inputs.Infra.Ref = "main"
		_, err := NewWorkflows(ctx, "workflows", args)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), `Infra.Ref is "main"; give a commit, 40 hexadecimal digits`) {
		t.Errorf("got %v", err)
	}
	if registered := record.Resources(); len(registered) > 0 {
		t.Errorf("registered %v", registered)
	}
}
