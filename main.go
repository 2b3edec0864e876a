// Command infra is the Pulumi program of the clawft gateway's delivery pipeline.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/pipeline"
)

func main() {
	pulumi.Run(pipeline.Deploy)
}
