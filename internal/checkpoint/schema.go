package checkpoint

// The schema is the table of the document's POST request, with the bounds that
// semantics.md adds. Each property has a slot: where the walk over a body puts
// its literal.

type slot uint8

const (
	slotNone slot = iota // not kept

	slotStatus
	slotStepNumber
	slotMessages
	slotExpertKey
	slotExpertName
	slotExpertVersion
	slotDelegateTo
	slotDelegateToKey
	slotDelegateToName
	slotDelegateToVersion
	slotDelegateToCallID
	slotDelegateToToolName
	slotDelegateToQuery
	slotDelegatedBy
	slotDelegatedByKey
	slotDelegatedByName
	slotDelegatedByVersion
	slotDelegatedByCallID
	slotDelegatedByToolName
	slotDelegatedByCheckpointID
	slotUsage // the first of five
	_
	_
	_
	_
	slotContextWindow
	slotContextWindowUsage
	slotInputMessages
	slotNewMessages
	slotCall
	slotCallID
	slotCallSkillName
	slotCallToolName
	slotCallArgs
	slotResult
	slotResultID
	slotResultSkillName
	slotResultToolName
	slotResultResult
	slotStepUsage // the first of five
	_
	_
	_
	_
	slotStartedAt
	slotFinishedAt

	slotCount
)

// The slots of a usage, from its first.
const (
	usageInput slot = iota
	usageOutput
	usageReasoning
	usageTotal
	usageCachedInput
)

// valueType is what a property must hold.
type valueType uint8

const (
	typeString   valueType = iota
	typeShort              // a string of at most maxShort UTF-16 units
	typeID                 // a string that is an id
	typeStatus             // a string that is a status
	typeNumber             // a finite number
	typeTime               // a number of milliseconds that a Date can hold
	typeArray              // an array, kept as it is
	typeMessages           // an array whose elements are kept apart
	typeRaw                // an object, kept as it is
	typeObject             // an object of known properties
)

// maxShort is the longest name or call id, in UTF-16 units.
const maxShort = 255

// property is a row of the table.
type property struct {
	name     string
	is       valueType
	slot     slot
	optional bool
	list     listID     // of typeMessages
	of       []property // of typeObject
	open     bool       // of typeObject: unknown properties are kept
}

var requestSchema = property{is: typeObject, of: []property{
	{name: "checkpoint", is: typeObject, open: true, of: []property{
		{name: "status", is: typeStatus, slot: slotStatus},
		{name: "stepNumber", is: typeNumber, slot: slotStepNumber},
		{name: "messages", is: typeMessages, slot: slotMessages, list: listMessages},
		{name: "expert", is: typeObject, of: expertSchema(slotExpertKey)},
		{name: "delegateTo", is: typeObject, slot: slotDelegateTo, optional: true, of: []property{
			{name: "expert", is: typeObject, of: expertSchema(slotDelegateToKey)},
			{name: "toolCallId", is: typeShort, slot: slotDelegateToCallID},
			{name: "toolName", is: typeShort, slot: slotDelegateToToolName},
			{name: "query", is: typeString, slot: slotDelegateToQuery},
		}},
		{name: "delegatedBy", is: typeObject, slot: slotDelegatedBy, optional: true, of: []property{
			{name: "expert", is: typeObject, of: expertSchema(slotDelegatedByKey)},
			{name: "toolCallId", is: typeShort, slot: slotDelegatedByCallID},
			{name: "toolName", is: typeShort, slot: slotDelegatedByToolName},
			{name: "checkpointId", is: typeID, slot: slotDelegatedByCheckpointID},
		}},
		{name: "usage", is: typeObject, of: usageSchema(slotUsage)},
		{name: "contextWindow", is: typeNumber, slot: slotContextWindow, optional: true},
		{name: "contextWindowUsage", is: typeNumber, slot: slotContextWindowUsage, optional: true},
	}},
	{name: "step", is: typeObject, of: []property{
		{name: "stepNumber", is: typeNumber},
		{name: "inputMessages", is: typeMessages, slot: slotInputMessages, optional: true, list: listInputMessages},
		{name: "newMessages", is: typeMessages, slot: slotNewMessages, list: listNewMessages},
		{name: "toolCall", is: typeObject, slot: slotCall, optional: true, of: []property{
			{name: "id", is: typeShort, slot: slotCallID},
			{name: "skillName", is: typeShort, slot: slotCallSkillName},
			{name: "toolName", is: typeShort, slot: slotCallToolName},
			{name: "args", is: typeRaw, slot: slotCallArgs},
		}},
		{name: "toolResult", is: typeObject, slot: slotResult, optional: true, of: []property{
			{name: "id", is: typeShort, slot: slotResultID},
			{name: "skillName", is: typeShort, slot: slotResultSkillName},
			{name: "toolName", is: typeShort, slot: slotResultToolName},
			{name: "result", is: typeArray, slot: slotResultResult},
		}},
		{name: "usage", is: typeObject, of: usageSchema(slotStepUsage)},
		{name: "startedAt", is: typeTime, slot: slotStartedAt},
		{name: "finishedAt", is: typeTime, slot: slotFinishedAt, optional: true},
	}},
}}

func expertSchema(first slot) []property {
	return []property{
		{name: "key", is: typeString, slot: first},
		{name: "name", is: typeString, slot: first + 1},
		{name: "version", is: typeString, slot: first + 2},
	}
}

func usageSchema(first slot) []property {
	return []property{
		{name: "inputTokens", is: typeNumber, slot: first + usageInput},
		{name: "outputTokens", is: typeNumber, slot: first + usageOutput},
		{name: "reasoningTokens", is: typeNumber, slot: first + usageReasoning},
		{name: "totalTokens", is: typeNumber, slot: first + usageTotal},
		{name: "cachedInputTokens", is: typeNumber, slot: first + usageCachedInput},
	}
}

// responseNames are the properties of a checkpoint as it is served, in their
// order. An unknown property of a request that has one of these names gives
// way to the server's.
var responseNames = [...]string{
	"type", "id", "action", "runId", "expertJobId", "sequence", "stepNumber", "status", "expert",
	"skillName", "toolName", "delegateTo", "delegatedBy", "inputMessages", "messages", "newMessages",
	"toolCall", "toolResult", "usage", "contextWindow", "contextWindowUsage", "startedAt", "finishedAt",
	"createdAt", "updatedAt",
}

func isResponseName(name []byte) bool {
	for _, n := range responseNames {
		if string(name) == n {
			return true
		}
	}
	return false
}
