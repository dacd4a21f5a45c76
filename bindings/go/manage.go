//go:build cgo

package kmsbox

import "strconv"

// KeyMetadata describes a CMK. Dates are UTC as the API writes them, and empty where there is none.
type KeyMetadata struct {
	KeyID              string `json:"KeyId"`
	Arn                string
	KeyState           string // "Enabled", "Disabled", "PendingDeletion" or "PendingImport"
	Description        string
	KeySpec            string
	KeyUsage           string
	Origin             string
	ProtectionLevel    string
	Creator            string
	CreationDate       string
	PrimaryKeyVersion  string
	LastRotationDate   string
	AutomaticRotation  string
	RotationInterval   string
	NextRotationDate   string
	DeleteDate         string
	MaterialExpireTime string
	DeletionProtection string
}

// KeyVersion describes a version of a CMK.
type KeyVersion struct {
	KeyID        string `json:"KeyId"`
	KeyVersionID string `json:"KeyVersionId"`
	CreationDate string
}

// CreateKey makes a CMK. The parameters are those of the action, such as Description; nil will do.
func (c *Client) CreateKey(params Params) (KeyMetadata, error) {
	var answer struct{ KeyMetadata KeyMetadata }
	err := c.do("CreateKey", params, &answer)
	return answer.KeyMetadata, err
}

// DescribeKey describes a CMK, named by its id, ARN or alias.
func (c *Client) DescribeKey(keyID string) (KeyMetadata, error) {
	var answer struct{ KeyMetadata KeyMetadata }
	err := c.do("DescribeKey", onKey(keyID), &answer)
	return answer.KeyMetadata, err
}

// CreateKeyVersion rotates a CMK, named by its id, ARN or alias: the new version wraps from now on, and what
// the old ones have wrapped still opens.
func (c *Client) CreateKeyVersion(keyID string) (KeyVersion, error) {
	var answer struct{ KeyVersion KeyVersion }
	err := c.do("CreateKeyVersion", onKey(keyID), &answer)
	return answer.KeyVersion, err
}

// CreateAlias gives a CMK, named by its id or ARN, a name such as "alias/orders".
func (c *Client) CreateAlias(keyID, aliasName string) error {
	return c.do("CreateAlias", Params{"KeyId": keyID, "AliasName": aliasName}, nil)
}

// UpdateAlias moves an alias to another CMK, named by its id or ARN.
func (c *Client) UpdateAlias(keyID, aliasName string) error {
	return c.do("UpdateAlias", Params{"KeyId": keyID, "AliasName": aliasName}, nil)
}

// DeleteAlias removes an alias.
func (c *Client) DeleteAlias(aliasName string) error {
	return c.do("DeleteAlias", Params{"AliasName": aliasName}, nil)
}

// DisableKey stops all use of a CMK, named by its id or ARN.
func (c *Client) DisableKey(keyID string) error {
	return c.do("DisableKey", onKey(keyID), nil)
}

// EnableKey allows the use of a CMK again, named by its id or ARN.
func (c *Client) EnableKey(keyID string) error {
	return c.do("EnableKey", onKey(keyID), nil)
}

// ScheduleKeyDeletion stops all use of a CMK, named by its id or ARN, and deletes it after 7 to 366 days.
func (c *Client) ScheduleKeyDeletion(keyID string, days int) error {
	params := Params{"KeyId": keyID, "PendingWindowInDays": strconv.Itoa(days)}
	return c.do("ScheduleKeyDeletion", params, nil)
}

// CancelKeyDeletion takes a ScheduleKeyDeletion back.
func (c *Client) CancelKeyDeletion(keyID string) error {
	return c.do("CancelKeyDeletion", onKey(keyID), nil)
}

func onKey(keyID string) Params { return Params{"KeyId": keyID} }
