using Collective.Protocol;

namespace Collective.Transport;

/// <summary>A connection that carries bytes both ways, in order. One thread uses it; any thread may dispose it, which ends what waits in it.</summary>
/// <remarks>A connection that broke, stalled or was disposed throws <see cref="IOException"/>.</remarks>
internal interface IByteConnection : IDisposable
{
    void Send(ReadOnlySpan<byte> bytes);

    /// <summary>Fills the span; false when the other side closed before its first byte.</summary>
    bool Receive(Span<byte> bytes);
}

/// <summary>Connections for the exchange of shared state.</summary>
internal interface IStateConnections
{
    /// <summary>Connects to a member. Blocks; throws <see cref="IOException"/> when it cannot be.</summary>
    IByteConnection DialState(Member holder);

    /// <summary>Who serves the connections that others open to this peer: each is served on a thread of its own, and closed when that returns.</summary>
    void ServeState(Action<IByteConnection> serve);
}
