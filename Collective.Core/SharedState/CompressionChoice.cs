namespace Collective.Sharing;

/// <summary>
/// Decides for one connection whether blocks are packed before they are sent. Answers sent as they are measure the link, one block of now and then measures what
/// packing saves and costs; it pays when packing a byte takes less time than the bytes it saves would take on the link.
/// </summary>
internal sealed class CompressionChoice
{
    /// <summary>No codec is faster than such a link: not even a sample is worth while.</summary>
    private const double LinkTooFastBytesPerSecond = 1.5e9;

    private const int AnswersPerSample = 8;
    private const int AnswersPerMeasurement = 32;

    // Packing must save this much more than it costs: the samples are few.
    private const double Margin = 1.25;

    private double _linkBytesPerSecond = double.PositiveInfinity;
    private double _savedBytesPerSecond;
    private int _answers;
    private int _sinceSample = AnswersPerSample;

    /// <summary>Whether the next answer is packed.</summary>
    public bool Pays => _savedBytesPerSecond > _linkBytesPerSecond * Margin && _answers % AnswersPerMeasurement != 0;

    /// <summary>Whether one block of the next answer is to be packed for measuring.</summary>
    public bool SampleDue => _sinceSample >= AnswersPerSample && _linkBytesPerSecond < LinkTooFastBytesPerSecond;

    /// <summary>An answer has been sent as it is.</summary>
    public void SentPlain(long bytes, TimeSpan duration)
    {
        // What fits into the socket's buffer leaves at once: half the weight to the latest, so that the true speed shows soon.
        var measured = bytes / Math.Max(duration.TotalSeconds, 1e-6);
        _linkBytesPerSecond = double.IsInfinity(_linkBytesPerSecond) ? measured : (_linkBytesPerSecond + measured) / 2;
        _answers++;
        _sinceSample++;
    }

    public void SentPacked()
    {
        _answers++;
        _sinceSample++;
    }

    /// <summary>A block has been packed, whether or not it is sent so.</summary>
    public void Sampled(int bytes, int packedBytes, TimeSpan duration)
    {
        var saved = packedBytes == 0 ? 0 : bytes - packedBytes;
        _savedBytesPerSecond = saved / Math.Max(duration.TotalSeconds, 1e-6);
        _sinceSample = 0;
    }
}
