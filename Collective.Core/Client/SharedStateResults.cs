namespace Collective;

/// <summary>What a successful sync of the shared state reports.</summary>
/// <param name="Revision">The revision that all peers of the group have now.</param>
/// <param name="BytesSent">Bytes of tensors that this peer gave to others.</param>
/// <param name="BytesReceived">Bytes of tensors that this peer fetched: of the blocks of 64 KiB that differed.</param>
/// <param name="WireBytesSent">What giving them cost on the network: compressed where that paid, with headers and digests.</param>
/// <param name="WireBytesReceived">What fetching them cost on the network.</param>
/// <param name="KeysReceived">The tensors of which at least one block came.</param>
/// <param name="Donors">The peers from which blocks came.</param>
/// <param name="LeftOut">The peers whose call did not fit what was elected, and why; they have left the run. At most 64 are named.</param>
public readonly record struct SharedStateSyncResult(
    ulong Revision,
    long BytesSent,
    long BytesReceived,
    long WireBytesSent,
    long WireBytesReceived,
    IReadOnlyList<string> KeysReceived,
    IReadOnlyList<PeerId> Donors,
    IReadOnlyList<LeftOutPeer> LeftOut);

/// <summary>How far a peer is with fetching shared state.</summary>
/// <param name="BytesDone">Bytes of tensors that have come and are verified. They become the caller's when all peers have theirs.</param>
/// <param name="BytesTotal">Bytes to fetch, as far as known: a tensor counts whole until it is known which of its blocks differ.</param>
/// <param name="Donors">The peers that have given blocks.</param>
public readonly record struct SharedStateProgress(long BytesDone, long BytesTotal, IReadOnlyList<PeerId> Donors);
