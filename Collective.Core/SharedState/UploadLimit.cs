namespace Collective.Sharing;

/// <summary>Keeps what leaves below a number of bytes a second, over all connections of a peer together. Time is an input.</summary>
internal sealed class UploadLimit(long bytesPerSecond)
{
    private const int PiecesPerSecond = 16;
    private const int PieceBytesLeast = 4096;

    // Guards the debt between the connections' threads.
    private readonly Lock _gate = new();
    private double _freeAtMs = double.NegativeInfinity;

    public bool IsLimited => bytesPerSecond > 0;

    /// <summary>What leaves in one go: small, so that a slow upload never looks like a stalled one.</summary>
    public int PieceBytes => IsLimited ? (int)Math.Clamp(bytesPerSecond / PiecesPerSecond, PieceBytesLeast, 1 << 20) : int.MaxValue;

    /// <summary>Books so many bytes; they may leave after so many milliseconds. Idle time before is not saved up.</summary>
    public double Book(long bytes, double nowMs)
    {
        if (!IsLimited)
        {
            return 0;
        }

        lock (_gate)
        {
            var startMs = Math.Max(_freeAtMs, nowMs);
            _freeAtMs = startMs + (bytes * 1000.0 / bytesPerSecond);
            return startMs - nowMs;
        }
    }
}
