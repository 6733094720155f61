namespace Collective;

/// <summary>What a committed all-reduce reports.</summary>
/// <param name="World">The membership that contributed: the result is the reduction over exactly <c>World.Peers</c>.</param>
/// <param name="BytesSent">Payload bytes this peer sent, without frame headers.</param>
/// <param name="BytesReceived">Payload bytes this peer received, without frame headers.</param>
public readonly record struct AllReduceResult(World World, long BytesSent, long BytesReceived)
{
    /// <summary>Number of peers whose contribution is in the result.</summary>
    public int WorldSize => World.WorldSize;

    /// <summary>The peers whose contribution is in the result, in ring order.</summary>
    public IReadOnlyList<PeerId> Contributors => World.Peers;
}

/// <summary>What a completed "multiple with retry" reports.</summary>
/// <param name="World">The membership in which the last operation committed.</param>
/// <param name="BytesSent">Payload bytes sent by the committed operations.</param>
/// <param name="BytesReceived">Payload bytes received by the committed operations.</param>
/// <param name="Retries">How many attempts were aborted and done again.</param>
/// <param name="Results">What each operation reports, in the order of the requests: their contributors may differ.</param>
public readonly record struct AllReduceMultipleResult(World World, long BytesSent, long BytesReceived, int Retries, IReadOnlyList<AllReduceResult> Results);
