// The least that a function in JavaScript with a database can be: it reads one item and answers, as floor/get-item does in Rust.
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

import { serve } from "./runtime.mjs";

const client = new DynamoDBClient({});
const TableName = process.env.TABLE_NAME;

await serve(async (event) => {
  const id = event.pathParameters.product_id;
  const Key = { pk: { S: `PRODUCT#${id}` }, sk: { S: "PRODUCT" } };
  const { Item } = await client.send(new GetItemCommand({ TableName, Key, ReturnConsumedCapacity: "TOTAL" }));
  if (!Item) return { statusCode: 404 };
  const body = JSON.stringify({ product_id: id, name: Item.name.S });
  return { statusCode: 200, headers: { "content-type": "application/json" }, body };
});
