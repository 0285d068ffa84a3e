import { expect, test } from "vitest";
import { partsOfName } from "../../src/text/name-parts.ts";

test.each([
  ["parseJsonFile", ["parse", "Json", "File"]],
  ["parseJSONFile", ["parse", "JSON", "File"]],
  ["parse_json_file", ["parse", "json", "file"]],
  ["utf8Bytes", ["utf8", "Bytes"]],
  ["ПарситьФайл", ["Парсить", "Файл"]],
  ["join", ["join"]],
  ["JOIN", ["JOIN"]],
  ["Join", ["Join"]],
  ["python3", ["python3"]],
  ["e\u0301te\u0301", ["e\u0301te\u0301"]],
  ["日本語", ["日本語"]],
  ["still join", ["still join"]],
])("%s", (word, parts) => {
  expect(partsOfName(word)).toEqual(parts);
});
