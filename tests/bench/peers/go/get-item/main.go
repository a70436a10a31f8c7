// The least that a function in Go with a database can be: it reads one item and answers, as floor/get-item does in Rust.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() {
	configuration, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	client, table := dynamodb.NewFromConfig(configuration), os.Getenv("TABLE_NAME")
	lambda.Start(func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		id := event.PathParameters["product_id"]
		found, err := client.GetItem(ctx, &dynamodb.GetItemInput{
			TableName: &table,
			Key: map[string]types.AttributeValue{
				"pk": &types.AttributeValueMemberS{Value: "PRODUCT#" + id},
				"sk": &types.AttributeValueMemberS{Value: "PRODUCT"},
			},
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err != nil {
			return events.APIGatewayV2HTTPResponse{}, err
		}
		name, ok := found.Item["name"].(*types.AttributeValueMemberS)
		if !ok {
			return events.APIGatewayV2HTTPResponse{StatusCode: 404}, nil
		}
		body, err := json.Marshal(map[string]string{"product_id": id, "name": name.Value})
		headers := map[string]string{"content-type": "application/json"}
		return events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: headers, Body: string(body)}, err
	})
}
