package mls

import "golang.org/x/crypto/cryptobyte"

// leafNode is the LeafNode structure of RFC 9420, section 7.2, as it stands in
// a KeyPackage: its source is always key_package.
type leafNode struct {
	encryptionKey []byte
	signatureKey  []byte
	credential    credential
	capabilities  capabilities
	source        uint8
	lifetime      lifetime
	extensions    []byte // the vector's content, well-formed

	tbs       []byte // LeafNodeTBS: the encoding of all fields above
	signature []byte
}

// credential is the Credential structure of section 5.3.
type credential struct {
	credentialType credentialType
	content        []byte // of the identity or certificates vector
}

// credentialType is registered by section 17.5. The content of any other type
// has a form that we do not know, so that nothing after it can be read.
type credentialType uint16

const (
	credentialBasic credentialType = 1
	credentialX509  credentialType = 2
)

// capabilities is the Capabilities structure of section 7.2: five vectors of
// uint16, kept as they are encoded. Unknown values in them are to be ignored
// (section 13.4), and GREASE values are to be expected (section 13.5).
type capabilities struct {
	versions, cipherSuites, extensions, proposals, credentials []byte
}

// lifetime is the Lifetime structure of section 7.2, in seconds since 1970.
type lifetime struct {
	notBefore, notAfter uint64
}

// leafNode reads a LeafNode. For the source key_package LeafNodeTBS has neither
// group_id nor leaf_index: it is what was read, up to the signature.
func (d *decoder) leafNode() (leaf leafNode) {
	start := d.rest
	leaf.encryptionKey = d.vector("leaf_node.encryption_key")
	leaf.signatureKey = d.vector("leaf_node.signature_key")
	leaf.credential = d.credential()
	leaf.capabilities = d.capabilities()
	leaf.source = d.uint8("leaf_node.leaf_node_source")
	d.require(leaf.source == leafNodeSourceKeyPackage, "leaf_node.leaf_node_source", "is not key_package")
	leaf.lifetime.notBefore = d.uint64("leaf_node.lifetime.not_before")
	leaf.lifetime.notAfter = d.uint64("leaf_node.lifetime.not_after")
	leaf.extensions = d.extensions("leaf_node.extensions")
	leaf.tbs = start[:len(start)-len(d.rest)]
	leaf.signature = d.vector("leaf_node.signature")
	return leaf
}

// credential reads a Credential for its form alone.
func (d *decoder) credential() (c credential) {
	c.credentialType = credentialType(d.uint16("leaf_node.credential.credential_type"))
	switch c.credentialType {
	case credentialBasic:
		c.content = d.vector("leaf_node.credential.identity")
	case credentialX509:
		c.content = d.certificates("leaf_node.credential.certificates")
	default:
		d.require(false, "leaf_node.credential.credential_type", "is neither basic nor x509")
	}
	return c
}

// certificates reads the chain of an x509 credential, each certificate opaque.
func (d *decoder) certificates(field string) []byte {
	content := d.vector(field)
	list := d.within(content)
	for list.more() {
		list.vector(field)
	}
	d.absorb(list)
	return content
}

func (d *decoder) capabilities() capabilities {
	return capabilities{
		versions:     d.uint16s("leaf_node.capabilities.versions"),
		cipherSuites: d.uint16s("leaf_node.capabilities.cipher_suites"),
		extensions:   d.uint16s("leaf_node.capabilities.extensions"),
		proposals:    d.uint16s("leaf_node.capabilities.proposals"),
		credentials:  d.uint16s("leaf_node.capabilities.credentials"),
	}
}

// extensions reads a list of extensions (section 7.2), which must not have two
// of one type (section 13.4).
func (d *decoder) extensions(field string) []byte {
	content := d.vector(field)
	list := d.within(content)
	seen := make(map[uint16]bool)
	for list.more() {
		extensionType := list.uint16(field)
		list.vector(field)
		list.require(!seen[extensionType], field, "has two extensions of one type")
		seen[extensionType] = true
	}
	d.absorb(list)
	return content
}

// encodeTBS returns LeafNodeTBS for the source key_package.
func (leaf *leafNode) encodeTBS() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddValue(vector(leaf.encryptionKey))
	b.AddValue(vector(leaf.signatureKey))
	b.AddUint16(uint16(leaf.credential.credentialType))
	b.AddValue(vector(leaf.credential.content))
	b.AddValue(leaf.capabilities)
	b.AddUint8(leaf.source)
	b.AddUint64(leaf.lifetime.notBefore)
	b.AddUint64(leaf.lifetime.notAfter)
	b.AddValue(vector(leaf.extensions))
	return b.Bytes()
}

// Marshal implements [cryptobyte.MarshalingValue].
func (c capabilities) Marshal(b *cryptobyte.Builder) error {
	for _, list := range [][]byte{c.versions, c.cipherSuites, c.extensions, c.proposals, c.credentials} {
		b.AddValue(vector(list))
	}
	return nil
}
